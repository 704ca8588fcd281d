export { type TestNetwork, type TestOrganisation, testNetwork } from './network.ts'
export { newPerson, proofing, refused, staffCode } from './people.ts'
