/** One piece of work at a time for each name; others wait in the order in which they came. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve()
    const result = before.then(work)
    const settled = result.catch(() => undefined)
    this.#last.set(name, settled)
    try {
      return await result
    } finally {
      if (this.#last.get(name) === settled) this.#last.delete(name)
    }
  }
}
