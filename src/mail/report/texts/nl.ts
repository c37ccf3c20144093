import type { ReportTexts } from '../texts.ts';

export const nl: ReportTexts = {
  subject: {
    failed: 'Uw e-mail kon niet worden bezorgd',
    delayed: 'Uw e-mail is vertraagd',
    success: 'Wat er met uw e-mail is gebeurd',
  },
  intro: {
    failed: 'Uw e-mail van {date} kon niet worden bezorgd bij:',
    delayed: 'Uw e-mail van {date} is nog niet aangekomen bij:',
    success: 'Dit is er met uw e-mail van {date} gebeurd:',
  },
  more: '... en nog {count}; het tweede deel van dit bericht noemt ze allemaal.',
  why: {
    refused: 'De mailserver {server} heeft de e-mail geweigerd.',
    expired: 'Geen mailserver heeft de e-mail op tijd aangenomen.',
    service: 'Een dienst die bij {host} e-mail controleert, heeft de e-mail geweigerd (OPES-verwerking).',
    'service-failed':
      'Een dienst die bij {host} alle e-mail moet controleren, heeft niet op tijd gewerkt (OPES-verwerking).',
    'service-delayed':
      'Een dienst die e-mail bij {host} onderzoekt, liet het wachten tot de tijd om was (OPES-verwerking).',
    'cannot-carry': 'De mailserver {server} kan e-mail van deze soort niet aannemen.',
    'no-route': 'Voor dit adres is er geen mailserver.',
    loop: 'De e-mail is tussen mailservers in een kring rondgegaan.',
    delayed: 'Nog geen mailserver heeft de e-mail aangenomen. We blijven het proberen tot {until}.',
    delivered: 'De e-mail is bezorgd.',
    relayed: 'De e-mail is doorgegeven aan {server}; die stuurt geen berichten van deze soort.',
    expanded: 'De e-mail is doorgegeven aan de adressen achter dit adres.',
  },
  answer: 'Het antwoord was: {reply}',
  service: 'De dienst: {uri}',
  advice: {
    address:
      'Controleer het adres. Als het klopt, neem dan op een andere manier contact op met de ontvanger en laat dit bericht zien.',
    again: 'Verstuur de e-mail later opnieuw, of neem op een andere manier contact op met de ontvanger.',
    ask: 'Als u denkt dat dit een vergissing is, schrijf dan naar {contact} en vermeld het kenmerk hieronder.',
    wait: 'U hoeft niets te doen. Als bezorgen niet lukt, hoort u het van ons.',
  },
  bypass: 'U kunt vragen om uw e-mail zonder deze dienst te behandelen (een bypass). Noem in uw verzoek:',
  from: 'Dit bericht is gemaakt door het mailsysteem {host}.',
  id: 'Kenmerk van de e-mail:',
  system: 'Wat wij met e-mail doen:',
  contact: 'Vragen aan:',
};
