import { AppError } from '@salus/core'
import type { Io } from '../io.ts'

/** One step as the program saw it. `detail` says what happened and where the proof lies. */
export interface StepResult {
  readonly name: string
  readonly ok: boolean
  readonly ms: number
  readonly detail: string
}

/** Something that the story asserts from outside did not hold. */
export class StoryError extends Error {}

/** Ends the step as failed unless `condition` holds. */
export function expectThat(condition: unknown, what: string): asserts condition {
  if (!condition) throw new StoryError(what)
}

/** Expects an AppError with one of these codes; anything else fails the step. */
export async function expectRefusal(
  work: Promise<unknown>,
  codes: readonly string[],
  what: string,
): Promise<AppError> {
  try {
    await work
  } catch (error) {
    if (error instanceof AppError && codes.includes(error.code)) return error
    throw error
  }
  throw new StoryError(`${what}: was not refused`)
}

/** Runs the steps of the story in order, telling each in one plain line. A failed step ends the story. */
export class Story {
  readonly steps: StepResult[] = []
  readonly #io: Io
  readonly #quiet: boolean

  constructor({ io, quiet }: { io: Io; quiet: boolean }) {
    this.#io = io
    this.#quiet = quiet
  }

  get ok(): boolean {
    return this.steps.every(({ ok }) => ok)
  }

  /** Work in progress, for people who wait. */
  progress(text: string): void {
    this.#io.err(`  … ${text}\n`)
  }

  say(text: string): void {
    if (!this.#quiet) this.#io.out(`${text}\n`)
  }

  /** Runs one step; returns false when it failed, and then nothing after it can be trusted. */
  async step(name: string, work: () => Promise<string>): Promise<boolean> {
    const startMs = performance.now()
    try {
      const detail = await work()
      return this.#done({ name, ok: true, ms: Math.round(performance.now() - startMs), detail })
    } catch (error) {
      const detail =
        error instanceof AppError ? `${error.code}: ${error.message}` : String((error as Error).message)
      if (!(error instanceof AppError || error instanceof StoryError))
        this.#io.err(`${(error as Error).stack}\n`)
      return this.#done({ name, ok: false, ms: Math.round(performance.now() - startMs), detail })
    }
  }

  #done(result: StepResult): boolean {
    this.steps.push(result)
    this.say(
      `${result.ok ? '✔' : '✘'} ${result.name.padEnd(20)} ${String(result.ms).padStart(6)} ms  ${result.detail}`,
    )
    return result.ok
  }
}
