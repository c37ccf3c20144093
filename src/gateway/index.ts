/**
 * The gateway's door.
 *
 *     const gateway = await Gateway.open(options);   // options.ts says what they are; `config` makes them from a file
 *     gateway.listeners;                             // where it listens
 *     await gateway.reload(otherOptions);            // whole or not at all; open sessions finish with what they began with
 *     await gateway.close(10_000);                   // drains for at most ten seconds
 */
export { isOpenRelay } from './dispatch/relay-permission.ts';
export { Gateway } from './gateway.ts';
export type { BoundSockets, ListeningAt } from './listeners.ts';
export { METRICS, type MetricDefinition, type MetricKind } from './metrics/index.ts';
export * from './options.ts';
export type { Changes, ReloadReport } from './reload.ts';
export { makeRuleEngine, type Rule, type RuleEngine, type RuleProblem } from './rules/index.ts';
export { checkAgentUri, findMailId, type MailIdFinding } from './trace/index.ts';
