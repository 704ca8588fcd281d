import { AppError } from '@salus/core'

/** Hashes in a full tile, entries in a full bundle. */
export const TILE_WIDTH = 256

/** A tile of hashes (`level` 0…63) or a bundle of entries, and how many of its 256 places are meant. */
export interface TileAddress {
  readonly level: number | 'entries'
  readonly index: number
  /** 1…256; less than 256 is a partial tile. */
  readonly width: number
}

const SHAPE = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/

/** `tile/<L>/<N>[.p/<W>]` with N in groups of three digits. C2SP tlog-tiles v0.1. */
export function formatTilePath({ level, index, width }: TileAddress): string {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g) ?? []
  const name = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/')
  return `tile/${level}/${name}${width < TILE_WIDTH ? `.p/${width}` : ''}`
}

/** Reads a path; only the one canonical spelling is accepted (`AppError TILE_PATH`). */
export function parseTilePath(path: string): TileAddress {
  const match = path.length > 128 ? null : SHAPE.exec(path)
  const [, level = '', name = '', partial] = match ?? []
  const index = Number(name.replaceAll(/[x/]/g, ''))
  const address: TileAddress = {
    level: level === 'entries' ? 'entries' : Number(level),
    index,
    width: partial === undefined ? TILE_WIDTH : Number(partial),
  }
  const sane =
    match &&
    Number.isSafeInteger(index * TILE_WIDTH) &&
    address.width <= TILE_WIDTH &&
    (address.level === 'entries' || address.level < 64)
  if (!sane || formatTilePath(address) !== path)
    throw new AppError(
      'TILE_PATH',
      'path must be tile/<L>/<N> or tile/entries/<N>, with .p/<W> for partial ones (C2SP tlog-tiles)',
    )
  return address
}
