export { Content, FixedOctets, type Piece } from './content.ts';
export { ContentReader, type Portion } from './content-reader.ts';
export { MemoryBudget } from './memory-budget.ts';
export { OctetStore, type Source, type StoreEvents } from './octet-store.ts';
export type { SpillFile, SpillSpace } from './spill-port.ts';
