/** A service of the tests that asks for the content and never reads it. */
import { defineService } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://gw.test/opes/stalls',
  wants: { body: 'stream' },
  message: () => new Promise<never>(() => undefined),
});
