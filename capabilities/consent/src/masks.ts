/** Steps of an element path: `Observation.value[x].unit` → type and names. */
export interface MaskPath {
  readonly type: string
  readonly steps: readonly string[]
}

export function parseMask(mask: string): MaskPath {
  const [type, ...steps] = mask.split('.')
  return { type: type as string, steps }
}

/** Whether an element's JSON name is the one a step means; `value[x]` means `valueQuantity` and its like. */
export function stepMatches(step: string, name: string): boolean {
  if (!step.endsWith('[x]')) return step === name
  const stem = step.slice(0, -3)
  return name === step || name === stem || (name.startsWith(stem) && /^[A-Z]/.test(name.slice(stem.length)))
}

/**
 * Whether a mask touches a path: same type (or one side is `Resource`), and one is the beginning of the other,
 * since reading `a` reads `a.b`, and leaving out `a` leaves out `a.b`. A bare type is touched by its every mask.
 */
export function coversMask(mask: string, path: string): boolean {
  const a = parseMask(mask)
  const b = parseMask(path)
  if (a.type !== b.type && a.type !== 'Resource' && b.type !== 'Resource') return false
  const shared = Math.min(a.steps.length, b.steps.length)
  for (let i = 0; i < shared; i++) {
    const left = a.steps[i] as string
    const right = b.steps[i] as string
    if (!stepMatches(left, right) && !stepMatches(right, left)) return false
  }
  return true
}
