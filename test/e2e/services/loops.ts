/** A service of the tests that never comes back from a mail with this subject. */
import { defineService, edit } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://gw.test/opes/loops',
  wants: { headers: true },
  message(mail) {
    while (mail.headers.text('Subject') === 'loop');
    return edit({ headers: { add: [['X-Scan', 'yes']] } });
  },
});
