/** A service of the tests that judges greetings and look-ups, and writes into each mail which greeting it knows of. */
import { change, defineService, edit, keep, refuse } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://gw.test/opes/greets',
  wants: { envelope: true },
  greeting(name, { ip }) {
    if (name === 'bad.test') return refuse(550, '5.7.1', `${name} at ${ip} is not welcome`);
    return name === 'OLD.test' ? change('new.test') : keep();
  },
  verify: (text, { helo }) => (text === 'boss' ? refuse(550, '5.1.1', `No such user, ${helo}`) : keep()),
  message: ({ session }) => edit({ headers: { add: [['X-Greeted', session.helo ?? 'nobody']] } }),
});
