export { type ConsoleServer, openConsole } from './server.ts';
export type { ConsoleOptions } from './view.ts';
