export { CalloutAgent } from './callout/agent.ts';
export type {
  CalloutEvents,
  CalloutOptions,
  CalloutTransaction,
  CalloutTransactionEvents,
} from './callout/types.ts';
export * from './codec/index.ts';
export { type ConnectionEnd, failure, isFailure, PARTIAL, type TransactionEnd } from './flow/result.ts';
export { type AgentLimits, DEFAULT_AGENT_LIMITS } from './negotiation/limits.ts';
export type {
  CalloutChannel,
  CalloutListener,
  ChannelOptions,
  ChannelTimeouts,
  Endpoint,
  ListenOptions,
  TlsOptions,
} from './net/types.ts';
export { ProcessorAgent } from './processor/agent.ts';
export type {
  AnswerDetails,
  KeptForm,
  ProcessorEvents,
  ProcessorOptions,
  ProcessorTransaction,
  ProcessorTransactionEvents,
} from './processor/types.ts';
