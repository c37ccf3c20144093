import type { ReportTexts } from '../texts.ts';

export const en: ReportTexts = {
  subject: {
    failed: 'Your mail could not be delivered',
    delayed: 'Your mail is delayed',
    success: 'What became of your mail',
  },
  intro: {
    failed: 'Your mail of {date} could not be delivered to:',
    delayed: 'Your mail of {date} has not yet reached:',
    success: 'This is what became of your mail of {date}:',
  },
  more: '... and {count} more; the second part of this report names them all.',
  why: {
    refused: 'The mail server {server} refused it.',
    expired: 'No mail server took it in time.',
    service: 'A service that examines mail at {host} refused it (OPES processing).',
    'service-failed': 'A service that must examine all mail at {host} did not work in time (OPES processing).',
    'service-delayed': 'A service that examines mail at {host} had it wait until its time was over (OPES processing).',
    'cannot-carry': 'The mail server {server} cannot take mail of this kind.',
    'no-route': 'There is no mail server for this address.',
    loop: 'The mail went in circles between mail servers.',
    delayed: 'No mail server has taken it yet. We keep trying until {until}.',
    delivered: 'It was delivered.',
    relayed: 'It was passed on to {server}, which sends no reports of this kind.',
    expanded: 'It was passed on to the addresses behind this one.',
  },
  answer: 'The answer was: {reply}',
  service: 'The service: {uri}',
  advice: {
    address: 'Please check the address. If it is right, tell the recipient in another way and show them this report.',
    again: 'Please send it again later, or tell the recipient in another way.',
    ask: 'If you think this is a mistake, write to {contact} and quote the id below.',
    wait: 'You need not do anything. If it cannot be delivered, we will tell you.',
  },
  bypass: 'You may ask that your mail is handled without this service (a bypass). Your request should name these:',
  from: 'This report was made by the mail system {host}.',
  id: 'Id of the mail:',
  system: 'What we do to mail:',
  contact: 'Questions to:',
};
