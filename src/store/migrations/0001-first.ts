import type { Migration } from './index.ts';

/**
 * The first schema. Mail, contents and counters are found by key; deliveries by mail, by the time they are due, by the time they
 * expire, and held ones by being held. Loose contents are few and found by being loose.
 */
export const first: Migration = {
  version: 1,
  name: 'first',
  statements: ({ serial, integer, octets, id, clustered }) => [
    `create table mail (
      seq ${serial}, id ${id} not null unique, accepted_ms ${integer} not null, reverse_path text not null,
      params text not null, facts text not null)`,
    `create table delivery (
      mail ${integer} not null, n ${integer} not null, content ${id} not null, forward_path text not null,
      params text not null, destination text not null, lane text not null,
      hold_service text, hold_reason text, held_ms ${integer},
      attempts ${integer} not null default 0, next_ms ${integer} not null, expires_ms ${integer} not null,
      last_reply text, is_warned ${integer} not null default 0, notes text not null,
      owner text, lease_ms ${integer} not null, primary key (mail, n)) ${clustered}`,
    'create index delivery_due on delivery (next_ms) where hold_service is null',
    'create index delivery_expires on delivery (expires_ms)',
    'create index delivery_held on delivery (mail, n) where hold_service is not null',
    `create table content (
      id ${id} not null unique, size ${integer} not null, crc ${integer} not null, octets ${octets},
      loose text, loose_ms ${integer} not null default 0)`,
    'create index content_loose on content (loose) where loose is not null',
    `create table chunk (
      content ${id} not null, at ${integer} not null, crc ${integer} not null, octets ${octets} not null,
      primary key (content, at))`,
    `create table counter (
      owner text primary key, batch text not null default '', accepted ${integer} not null default 0,
      delivered ${integer} not null default 0, reported ${integer} not null default 0,
      excepted ${integer} not null default 0, removed ${integer} not null default 0,
      octets ${integer} not null default 0)`,
  ],
};
