/** A mail as the record of the last mails has it, with what a test says of it. */
import type { MailRecord } from '../../src/gateway/options.ts';

export function mailRecord(id: string, more: Partial<MailRecord> = {}): MailRecord {
  return {
    id,
    atMs: 0,
    tookMs: 1,
    listener: 'mx',
    side: 'recipient',
    client: { address: '192.0.2.1', helo: 'client.example', tls: false },
    sender: 'a@src.example',
    relayedSender: undefined,
    recipients: [],
    sizeBefore: 0,
    sizeAfter: 0,
    before: undefined,
    after: undefined,
    calls: [],
    edits: [],
    trace: [],
    nextHop: undefined,
    reply: undefined,
    outcome: 'stored',
    deliveries: [],
    ...more,
  };
}
