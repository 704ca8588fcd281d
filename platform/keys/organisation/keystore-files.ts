import type { Disk } from '@salus/host'

/** File of a generation. */
export const generationFile = (path: string, generation: number): string =>
  `${path}/${String(generation).padStart(8, '0')}.keys`

/** Generations on the disk, ascending. */
export async function generations(disk: Disk, path: string): Promise<number[]> {
  const names = await disk.list(path)
  return names
    .flatMap((name) => /^(\d{8,10})\.keys$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

/** True if there is a keystore in this folder. */
export const keystoreExists = async (disk: Disk, path: string): Promise<boolean> =>
  (await generations(disk, path)).length > 0

/** Overwrites a file with zeros, then removes it. A file that is not there is not an error. */
export async function destroyFile(disk: Disk, file: string): Promise<void> {
  const stat = await disk.stat(file)
  if (stat === undefined) return
  if (stat.sizeBytes > 0) await disk.overwrite(file, 0, new Uint8Array(stat.sizeBytes))
  await disk.remove(file)
}
