/** A service of the tests that puts a line on top of every message's body. */
import { defineService, edit } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://gw.test/opes/banners',
  message: () => edit({ headers: { add: [['X-Banner', 'yes']] } }),
});
