import { systemDisk } from './disk.ts'

// A process that takes the lock and keeps it until it is killed; for the test of `Disk.lock`.
const [root = '', path = ''] = process.argv.slice(2)
try {
  await systemDisk(root).lock(path)
  process.stdout.write('held\n')
  setInterval(() => undefined, 60_000)
} catch {
  process.stdout.write('refused\n')
}
