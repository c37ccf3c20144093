/** A service of the tests that takes no message. */
import { defineService, refuse } from 'opes-smtp/callout';

export default defineService({
  uri: 'https://gw.test/opes/refuses',
  message: () => refuse(550, '5.7.1', 'Content refused', 'Policy P-12'),
});
