/** The forms of text that several keys share. */
import { leaf, list, word } from './leaf.ts';
import { readDuration, readHostPort, readPeriod, readSize } from './units.ts';

export const size = () => leaf('a size', 'write a number with a unit, such as 500KB, 50MB or 1GiB', readSize);
export const duration = () => leaf('a duration', 'write a number with a unit, such as 500ms, 30s or 4m', readDuration);
/** For what is kept, not waited for: may be longer. */
export const period = () => leaf('a time', 'write a number with a unit, such as 12h or 30d', readPeriod);
export const hostPort = () =>
  leaf('an address', 'write HOST:PORT, such as 127.0.0.1:2525, 0.0.0.0:25 or "[::1]:2525"', readHostPort);
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
    word('a network', 'write an address or a network, such as "10.0.0.0/8"', /^[0-9A-Fa-f:.]+(?:\/\d{1,3})?$/),
    'a list',
    false,
  );
export const isAny = (value: readonly unknown[]) => value.length > 0;

export const DOMAIN =
  /^(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

export const hostName = () => word('a host name', 'write a name such as mail.example.com', DOMAIN);
