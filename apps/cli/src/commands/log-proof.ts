import { utf8 } from '@salus/core'
import { decodeReceipt } from '@salus/log'
import { type Command, usage } from '../command.ts'
import { printJson, readFile, writeFile } from '../io.ts'

export const logProof: Command = {
  name: 'log proof',
  summary: 'Write the proofs of a receipt as .tlog-proof files, for other people’s tools',
  positionals: 'FILE',
  positionalsMax: 1,
  about:
    'A receipt holds C2SP tlog-proof texts unchanged: of the fact in the organisation’s log (NAME.tlog-proof) and of the\nblock in the block log (NAME.block.tlog-proof). Nothing is verified here; salus verify does that.',
  flags: {
    out: { value: 'NAME', doc: 'Name of the files without ending (default: the receipt’s)' },
    replace: { doc: 'Write over files that are there' },
  },
  examples: ['salus log proof visit.receipt.json', 'salus log proof visit.receipt.json --out /tmp/visit'],
  async run(args, io) {
    const [file] = args.positionals
    if (file === undefined) throw usage('FILE: name a *.receipt.json')
    const { log, block } = decodeReceipt(await readFile(io, file, 1 << 20))
    const base = args.text('out') ?? file.replace(/(\.receipt)?\.json$/, '')
    const proofs = [
      ...(log === undefined ? [] : [{ file: `${base}.tlog-proof`, of: 'fact', text: log }]),
      ...(block === undefined ? [] : [{ file: `${base}.block.tlog-proof`, of: 'block', text: block.proof }]),
    ]
    for (const { file: path, text } of proofs)
      await writeFile(io, path, utf8(text), { replace: args.is('replace') })
    if (args.is('json'))
      printJson(io, { ok: true, files: proofs.map(({ file: path, of }) => ({ file: path, of })) })
    else for (const { file: path, of } of proofs) io.out(`${path}  proof of the ${of}\n`)
    return 0
  },
}
