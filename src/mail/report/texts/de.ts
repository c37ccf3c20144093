import type { ReportTexts } from '../texts.ts';

export const de: ReportTexts = {
  subject: {
    failed: 'Ihre E-Mail konnte nicht zugestellt werden',
    delayed: 'Ihre E-Mail verspätet sich',
    success: 'Was aus Ihrer E-Mail wurde',
  },
  intro: {
    failed: 'Ihre E-Mail vom {date} konnte nicht zugestellt werden an:',
    delayed: 'Ihre E-Mail vom {date} ist noch nicht angekommen bei:',
    success: 'Das wurde aus Ihrer E-Mail vom {date}:',
  },
  more: '... und {count} weitere; der zweite Teil dieses Berichts nennt alle.',
  why: {
    refused: 'Der Mailserver {server} hat sie abgelehnt.',
    expired: 'Kein Mailserver hat sie rechtzeitig angenommen.',
    service: 'Ein Dienst, der bei {host} E-Mails prüft, hat sie abgelehnt (OPES-Verarbeitung).',
    'service-failed':
      'Ein Dienst, der bei {host} jede E-Mail prüfen muss, hat nicht rechtzeitig gearbeitet (OPES-Verarbeitung).',
    'service-delayed':
      'Ein Dienst, der bei {host} E-Mails prüft, hat sie warten lassen, bis ihre Zeit abgelaufen war (OPES-Verarbeitung).',
    'cannot-carry': 'Der Mailserver {server} kann E-Mails dieser Art nicht annehmen.',
    'no-route': 'Für diese Adresse gibt es keinen Mailserver.',
    loop: 'Die E-Mail ist zwischen Mailservern im Kreis gelaufen.',
    delayed: 'Noch hat sie kein Mailserver angenommen. Wir versuchen es weiter bis {until}.',
    delivered: 'Sie wurde zugestellt.',
    relayed: 'Sie wurde an {server} weitergegeben; von dort kommen keine Berichte dieser Art.',
    expanded: 'Sie wurde an die Adressen weitergegeben, die hinter dieser stehen.',
  },
  answer: 'Die Antwort war: {reply}',
  service: 'Der Dienst: {uri}',
  advice: {
    address:
      'Bitte prüfen Sie die Adresse. Wenn sie stimmt, wenden Sie sich auf anderem Weg an den Empfänger und zeigen Sie ihm diesen Bericht.',
    again: 'Bitte senden Sie die E-Mail später noch einmal, oder wenden Sie sich auf anderem Weg an den Empfänger.',
    ask: 'Wenn Sie das für einen Fehler halten, schreiben Sie an {contact} und nennen Sie die Kennung unten.',
    wait: 'Sie müssen nichts tun. Wenn die Zustellung nicht gelingt, erfahren Sie es von uns.',
  },
  bypass:
    'Sie können darum bitten, dass Ihre E-Mail ohne diesen Dienst behandelt wird (Bypass). Nennen Sie in Ihrer Bitte:',
  from: 'Diesen Bericht hat das Mailsystem {host} erstellt.',
  id: 'Kennung der E-Mail:',
  system: 'Was wir mit E-Mails tun:',
  contact: 'Fragen an:',
};
