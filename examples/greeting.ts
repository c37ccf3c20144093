/**
 * Judges a client before it names anything: who greets as this machine is refused, a name in capitals is made a small one, and
 * nobody may ask who lives here. The operator has to want that:
 *
 *     services: { greeting: { ..., may: [refuse, rewrite-command], commands: [EHLO, VRFY, EXPN] } }
 */
import { change, defineService, keep, refuse } from 'opes-smtp/callout';

const OURS = ['localhost', 'mx.example.com'];

export default defineService({
  uri: 'https://mail.example.com/opes/greeting',
  greeting(name, { ip }) {
    const lower = name.toLowerCase();
    if (OURS.includes(lower) && ip !== '127.0.0.1') return refuse(550, '5.7.1', `You are not ${lower}`);
    return lower === name ? keep() : change(lower);
  },
  verify: () => refuse(550, '5.7.1', 'Ask the postmaster'),
  expand: () => refuse(550, '5.7.1', 'Ask the postmaster'),
});
