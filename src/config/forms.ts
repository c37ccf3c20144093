/** The forms of text that several keys share. */
import { leaf, list, word } from './leaf.ts';
import { readDuration, readHostPort, readListenAddress, readMode, readNetwork, readPeriod, readSize } from './units.ts';

export const size = () => leaf('a size', 'write a number with a unit, such as 500KB, 50MB or 1GiB', readSize);
export const duration = () => leaf('a duration', 'write a number with a unit, such as 500ms, 30s or 4m', readDuration);
/** For what is kept, not waited for: may be longer. */
export const period = () => leaf('a time', 'write a number with a unit, such as 12h or 30d', readPeriod);
export const hostPort = () =>
  leaf('an address', 'write HOST:PORT, such as 127.0.0.1:2525, 0.0.0.0:25 or "[::1]:2525"', readHostPort);
/** Where mail comes in. */
export const listenAddress = () =>
  leaf(
    'an address',
    'write HOST:PORT, such as 127.0.0.1:2525, 0.0.0.0:25 or "[::1]:2525", or "unix:/run/opes/lmtp.sock"',
    readListenAddress,
  );
export const mode = () => leaf('a mode', 'write it as chmod takes it, in quotes: "0660"', readMode);
export const path = () =>
  word('a path', 'write the path of a file; a relative one starts at this configuration file', /^[^\0]+$/);
export const uri = () =>
  word(
    'a URI',
    'write an address such as https://mail.example.com/opes',
    /^(?:https?:\/\/[^\s"<>\\]+|urn:[^\s"<>\\]+)$/i,
  );
export const name = () =>
  word('a name', 'write letters, digits and dashes, starting with a letter', /^[A-Za-z][A-Za-z0-9-]{0,62}$/);
export const networks = () =>
  list(
    leaf('a network', 'write an address or a network, such as "10.0.0.0/8"', readNetwork),
    'a list of networks',
    false,
    'write a list, such as ["10.0.0.0/8", "192.0.2.1"]',
  );

export const DOMAIN =
  /^(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

export const hostName = () => word('a host name', 'write a name such as mail.example.com', DOMAIN);
