import { type Connection, sendForJson } from '@salus/sdk'

export interface NoticeLine {
  readonly seq: number
  readonly kind: string
  readonly about: Readonly<Record<string, string | number>>
}

/** What a person was told at an organisation without asking, oldest first. */
export async function noticesAt(session: Connection): Promise<NoticeLine[]> {
  const lines: NoticeLine[] = []
  for (;;) {
    const { notices } = (await sendForJson(
      session,
      'GET',
      `/me/notices?after=${lines.at(-1)?.seq ?? 0}`,
    )) as {
      notices: NoticeLine[]
    }
    if (notices.length === 0) return lines
    lines.push(...notices)
  }
}
