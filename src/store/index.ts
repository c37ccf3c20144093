export { type OpenStoreOptions, openStore } from './open.ts';
export * from './ports.ts';
