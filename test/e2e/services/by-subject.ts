/** A service of the tests: what it does is written in the mail's Subject. Every mail it has seen carries its mark. */
import { defineService, edit, keep, refuse } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://gw.test/opes/by-subject',
  wants: { envelope: true, headers: true },
  recipient: (to) => (to.address.startsWith('no@') ? refuse(550, '5.1.1', 'No such user here') : keep()),
  async message(mail, { signal }) {
    const subject = mail.headers.text('Subject') ?? '';
    if (subject.startsWith('refuse')) return refuse(550, '5.7.1', 'Content refused', 'Policy P-12');
    if (subject.startsWith('throw')) throw new Error('a bug in the service');
    if (subject.startsWith('exit')) process.exit(1);
    if (subject.startsWith('slow')) {
      await new Promise((resolve) => {
        setTimeout(resolve, 2000);
        signal.addEventListener('abort', resolve);
      });
    }
    return edit({ headers: { add: [['X-Scan', 'yes']] } });
  },
});
