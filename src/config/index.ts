export type { ConsoleSettings, EffectiveConfig, EffectiveRoute, EffectiveService } from './effective.ts';
export { type Loaded, type LoadPorts, loadFile, loadText, type RuleProblem } from './load.ts';
export { type PlacedProblem, type Problem, showProblem } from './problem.ts';
export { jsonSchemaText, referencePage } from './reference.ts';
export { suggest } from './suggest.ts';
export { type HostPort, isLoopback, readHostPort, readListenAddress, showHostPort } from './units.ts';
export { readArgon2, readScram, writeArgon2, writeScram } from './users/phc.ts';
export { readUsers as readUsersText } from './users/users-file.ts';
