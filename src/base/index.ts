export { Armed, type Deadline, Deadlines } from './deadlines.ts';
export * from './fault.ts';
export * from './octets.ts';
export * from './ports.ts';
export { Roster, type Seat } from './roster.ts';
export { bad, got, MORE, type Step } from './step.ts';
