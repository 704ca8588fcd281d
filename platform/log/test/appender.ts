import { sha256, signingKey, utf8 } from '@salus/core'
import { systemDisk } from '@salus/host/system'
import { TileLog } from '../src/tile-log.ts'

// Appends without end from many places and says what was acknowledged, until it is killed; for kill-9.test.ts.
const [root = '', run = ''] = process.argv.slice(2)
const key = signingKey(sha256(utf8('kill -9')))
const log = await TileLog.open({ disk: systemDisk(root), path: 'log', origin: 'log.example/kill-9', key })
let next = 0
await Promise.all(
  Array.from({ length: 64 }, async () => {
    for (;;) {
      const text = `${run}/${next++}`
      const { index } = await log.append(sha256(utf8(text)))
      process.stdout.write(`${index} ${text}.\n`)
    }
  }),
)
