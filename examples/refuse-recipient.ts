/** Refuses mail to people who have left, before a line of it is sent, and tells where to write instead. */
import { defineService, keep, refuse } from 'opes-smtp/callout';

const SUCCESSORS: ReadonlyMap<string, string> = new Map([['ann@example.com', 'bob@example.com']]);

export default defineService({
  uri: 'https://opes.example/services/refuse-recipient',
  recipient({ address }) {
    const successor = SUCCESSORS.get(address.toLowerCase());
    if (successor === undefined) return keep();
    return refuse(551, '5.1.6', 'Has left the company', `Please write to ${successor}`);
  },
});
