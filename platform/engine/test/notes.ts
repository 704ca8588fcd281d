import { bytes, object, optional, text } from '@salus/core'
import { type Contract, defineContract, implement } from '@salus/ledger'

const key = bytes('Who wrote it', { length: 32 })
const note = object('A note', { text: text('What it says', { max: 200 }) })

export const notesSchema = defineContract({
  name: 'notes',
  version: 1,
  doc: 'One note per key: the smallest contract that changes a row per call.',
  rejects: { exists: 100 },
  tables: { notes: { doc: 'Notes', key: [key], row: note } },
  calls: { write: { doc: 'Write the note of the signing key, once.', input: note } },
  queries: { read: { doc: 'One note.', input: object('', { key }), output: optional(note) } },
})

export const notes: Contract = implement(notesSchema, {
  calls: {
    write(context, input) {
      const [signer] = context.signers
      if (!signer || context.tables.notes.has([signer])) context.reject('exists')
      else context.tables.notes.put([signer], input)
    },
  },
  queries: { read: (view, input) => view.tables.notes.get([input.key]) },
})
