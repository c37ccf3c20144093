/** The campaign's callout service: one header on every mail. */
import { defineService, edit, keep } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://gw.test/opes/marked',
  recipient: () => keep(),
  message: () => edit({ headers: { add: [['X-Marked', 'yes']] } }),
});
