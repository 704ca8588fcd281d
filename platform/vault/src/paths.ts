import { fromHex, toHex } from '@salus/core'

/** Names of the files under a vault's path. */
export const vaultPaths = (path: string) => ({
  lock: `${path}/lock`,
  format: `${path}/format`,
  erasure: `${path}/erasure`,
  packs: `${path}/packs`,
  pack: (number: number) => `${path}/packs/${String(number).padStart(8, '0')}.pack`,
  packIndex: (number: number) => `${path}/packs/${String(number).padStart(8, '0')}.index`,
  large: `${path}/large`,
  /** The size is in the name, so that a start need not ask for it. */
  own: (address: Uint8Array, lengthBytes: number) => {
    const hex = toHex(address)
    return `${path}/large/${hex.slice(0, 2)}/${hex}.${lengthBytes}`
  },
})

export type VaultPaths = ReturnType<typeof vaultPaths>

/** Number of a pack file by its name, or undefined. */
export function packNumber(name: string): number | undefined {
  const match = /^(\d{8,10})\.pack$/.exec(name)
  return match?.[1] === undefined ? undefined : Number(match[1])
}

/** Address and size of an object's own file by its name, or undefined. */
export function ownFile(name: string): { address: Uint8Array; lengthBytes: number } | undefined {
  const match = /^([0-9a-f]{64})\.(\d{1,10})$/.exec(name)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { address: fromHex(match[1]), lengthBytes: Number(match[2]) }
}
