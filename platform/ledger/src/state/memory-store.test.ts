import { describe } from 'vitest'
import { memoryStore } from './memory-store.ts'
import { stateStoreSuite } from './store.suite.ts'

describe('memory store', () => {
  stateStoreSuite(memoryStore, (store) => store)
})
