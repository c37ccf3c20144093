/** What is checked of the process itself: its name, its user, the page with its figures. */
import { isIP } from 'node:net';
import type { Problem } from './problem.ts';
import type { RawConfig } from './schema.ts';
import { isLoopback, showHostPort } from './units.ts';

/** Nobody is asked who they are there, and the examples in it are ids of mails. */
export const metricsOnLoopback = (raw: RawConfig): Problem[] =>
  raw.metrics === undefined || isLoopback(raw.metrics.address.host) || raw.metrics.insecure
    ? []
    : [
        {
          path: ['metrics', 'address'],
          what: `metrics.address: ${showHostPort(raw.metrics.address)} can be reached from other machines, and the page asks nobody who they are`,
          fix: 'write 127.0.0.1, or add insecure: true if only your own monitoring reaches that address',
        },
      ];

/** In EHLO and Received an address stands in brackets, and is no name that anybody could trust (RFC 5321 section 4.1.4). */
export const hostnameIsName = (raw: RawConfig): Problem[] =>
  raw.hostname === undefined || isIP(raw.hostname) === 0
    ? []
    : [
        {
          path: ['hostname'],
          what: `hostname: ${raw.hostname} is an address`,
          fix: 'write the name that has this address in DNS, such as mx1.example.com',
        },
      ];

export const groupWithUser = (raw: RawConfig): Problem[] =>
  raw.group === undefined || raw.user !== undefined
    ? []
    : [{ path: ['group'], what: 'group stands without user', fix: 'write user, too: a group alone gives up nothing' }];
