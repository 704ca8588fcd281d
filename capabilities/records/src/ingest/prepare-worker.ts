import { serveTasks } from '@salus/host/system'
import { type PrepareInput, type PrepareOutput, prepare } from './prepare.ts'

serveTasks<PrepareInput, PrepareOutput>(
  (input) => packed(prepare(input)),
  ({ prepared: [first] }) => (first === undefined ? [] : [first.json.buffer as ArrayBuffer]),
)

/** The same with all bytes in one buffer, which moves to the other thread instead of being copied piece by piece. */
function packed(output: PrepareOutput): PrepareOutput {
  const total = output.prepared.reduce((sum, { json, source }) => sum + json.length + source.length, 0)
  const buffer = new Uint8Array(total)
  let at = 0
  const place = (bytes: Uint8Array): Uint8Array => {
    buffer.set(bytes, at)
    at += bytes.length
    return buffer.subarray(at - bytes.length, at)
  }
  return {
    ...output,
    prepared: output.prepared.map((one) => ({ ...one, json: place(one.json), source: place(one.source) })),
  }
}
