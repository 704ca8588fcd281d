#!/usr/bin/env node
// Runs src/main.ts on the Node that this project pins: TypeScript needs no build there.
import { spawn } from 'node:child_process'
import module, { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const [major] = process.versions.node.split('.')
const [verb, object] = process.argv.slice(2)
// V8 takes up to 130 MB for young objects where memory is plenty, and gives nothing back. A node that runs for weeks need
// not hold that; this bounds it at 50, and imports are as fast. It must be told before the process starts.
const flags = verb === 'node' && object === 'start' ? ['--max-semi-space-size=16'] : []

// What Node made of the sources is kept, so that the next start does not make it again: 0.4 s of 1 s. Beside the program and
// not in /tmp, where another user of the machine could put code under our name. Where it cannot be written, all works.
const cache = fileURLToPath(new URL('../../../node_modules/.cache/salus', import.meta.url))
const env = { NODE_COMPILE_CACHE: cache, ...process.env }

if (Number(major) >= 24 && flags.length > 0 && process.execArgv.length === 0 && process.platform !== 'win32')
  process.execve(process.execPath, [process.execPath, ...flags, ...process.argv.slice(1)], env)

if (Number(major) >= 24) {
  module.enableCompileCache(env.NODE_COMPILE_CACHE)
  const { main: start } = await import(main)
  await start()
} else {
  const child = spawn(pinnedNode(), [...flags, main, ...process.argv.slice(2)], { stdio: 'inherit', env })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => {
    process.stderr.write(`salus: the pinned Node 24 does not start (${error.message}); run npm ci again\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1)
  })
}

function pinnedNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve('node/package.json')
    return join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  } catch {
    process.stderr.write('salus: needs Node 24; run npm ci in the repository, which brings it\n')
    process.exit(1)
  }
}
