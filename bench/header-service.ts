/** The service of benchmark targets g1 and gb: it is asked about each recipient, gets the whole message, and adds one header. */
import { defineService, edit, keep } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://gw.test/opes/header',
  recipient: () => keep(),
  message: () => edit({ headers: { add: [['X-Bench-Opes', 'hello']] } }),
});
