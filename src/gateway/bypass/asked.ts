/** Requests put together. What one asks for and another does not is asked for (REQ-063). */
import type { AgentUris } from '../../smtp/index.ts';

export type { AgentUris } from '../../smtp/index.ts';

export function joinAsked(one: AgentUris | undefined, other: AgentUris | undefined): AgentUris | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  if (one === '*' || other === '*') return '*';
  return [...new Set([...one, ...other])];
}

/** For logs. */
export function showAsked(asked: AgentUris): string {
  return asked === '*' ? '*' : asked.join(' ');
}
