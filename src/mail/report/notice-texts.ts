/** What a recipient is told of a mail that is kept aside, in the languages of the reports. Placeholders are `{name}`. */
import type { ReportLanguage } from './languages.ts';

export interface NoticeTexts {
  readonly subject: string;
  readonly intro: string;
  readonly from: string;
  readonly title: string;
  readonly kept: string;
  readonly ask: string;
  readonly id: string;
}

export const noticeTexts: Readonly<Record<ReportLanguage, NoticeTexts>> = {
  en: {
    subject: 'A mail to you is kept aside',
    intro: 'On {date} a mail came in for you that could not be passed on. It is kept in quarantine at {host}.',
    from: 'From:',
    title: 'Subject:',
    kept: 'It is kept until {until}, and removed then.',
    ask: 'If you expect this mail, write to {contact} and quote the id below. If you do not, you need not do anything.',
    id: 'Id of the mail:',
  },
  de: {
    subject: 'Eine Mail an Sie wird zurückgehalten',
    intro:
      'Am {date} kam eine Mail für Sie an, die nicht weitergegeben werden konnte. Sie liegt bei {host} in Quarantäne.',
    from: 'Von:',
    title: 'Betreff:',
    kept: 'Sie wird bis {until} aufbewahrt und dann entfernt.',
    ask: 'Wenn Sie diese Mail erwarten, schreiben Sie an {contact} und nennen Sie die Kennung unten. Sonst brauchen Sie nichts zu tun.',
    id: 'Kennung der Mail:',
  },
  fr: {
    subject: 'Un message pour vous est mis de côté',
    intro:
      "Le {date}, un message est arrivé pour vous qui n'a pas pu être transmis. Il est gardé en quarantaine chez {host}.",
    from: 'De :',
    title: 'Objet :',
    kept: "Il est gardé jusqu'au {until}, puis supprimé.",
    ask: "Si vous attendez ce message, écrivez à {contact} en citant l'identifiant ci-dessous. Sinon, vous n'avez rien à faire.",
    id: 'Identifiant du message :',
  },
  es: {
    subject: 'Un mensaje para usted está retenido',
    intro: 'El {date} llegó un mensaje para usted que no se pudo entregar. Está en cuarentena en {host}.',
    from: 'De:',
    title: 'Asunto:',
    kept: 'Se guarda hasta el {until} y después se elimina.',
    ask: 'Si espera este mensaje, escriba a {contact} e indique el identificador de abajo. Si no, no tiene que hacer nada.',
    id: 'Identificador del mensaje:',
  },
  nl: {
    subject: 'Een bericht aan u wordt vastgehouden',
    intro:
      'Op {date} kwam een bericht voor u binnen dat niet kon worden doorgegeven. Het staat bij {host} in quarantaine.',
    from: 'Van:',
    title: 'Onderwerp:',
    kept: 'Het wordt bewaard tot {until} en daarna verwijderd.',
    ask: 'Als u dit bericht verwacht, schrijf dan naar {contact} en vermeld het kenmerk hieronder. Anders hoeft u niets te doen.',
    id: 'Kenmerk van het bericht:',
  },
};
