/** Mails for tests of the store. */
import type { NewDelivery, NewMail, StoredDelivery } from '../../src/store/index.ts';

export const NOW = 1_800_000_000_000;
export const DAY = 24 * 3600 * 1000;

export interface MailOptions {
  readonly octets?: readonly Uint8Array[] | 'written';
  readonly deliveries?: number;
  readonly delivery?: Partial<NewDelivery>;
  readonly reversePath?: string;
}

/** A mail with one content, `<id>/0`, queued for now. */
export function makeMail(id: string, options: MailOptions = {}): NewMail {
  const { octets = [Buffer.from('Subject: test\r\n\r\nHello\r\n')], deliveries = 1, delivery = {} } = options;
  return {
    id,
    acceptedMs: NOW,
    reversePath: options.reversePath ?? 'sender@example.com',
    params: { BODY: '8BITMIME', SMTPUTF8: true },
    facts: { client: '192.0.2.1', hello: 'client.example.com', tls: null },
    contents: [{ id: `${id}/0`, octets }],
    deliveries: Array.from({ length: deliveries }, (_, n) => ({ ...makeDelivery(id, n), ...delivery })),
  };
}

function makeDelivery(id: string, n: number): NewDelivery {
  return {
    n,
    content: `${id}/0`,
    forwardPath: `user${n}@example.org`,
    params: { NOTIFY: 'FAILURE' },
    destination: 'smtp://192.0.2.25:25',
    lane: 'relay',
    hold: undefined,
    nextMs: NOW,
    expiresMs: NOW + 5 * DAY,
    notes: { route: 1 },
  };
}

export function names(deliveries: readonly StoredDelivery[]): string[] {
  return deliveries.map(({ mail, n }) => `${mail} ${n}`);
}
