import type { ReportTexts } from '../texts.ts';

export const fr: ReportTexts = {
  subject: {
    failed: 'Votre message n’a pas pu être remis',
    delayed: 'Votre message est retardé',
    success: 'Ce qu’est devenu votre message',
  },
  intro: {
    failed: 'Votre message du {date} n’a pas pu être remis à :',
    delayed: 'Votre message du {date} n’est pas encore arrivé chez :',
    success: 'Voici ce qu’est devenu votre message du {date} :',
  },
  more: '... et {count} autres ; la deuxième partie de ce rapport les nomme tous.',
  why: {
    refused: 'Le serveur de messagerie {server} l’a refusé.',
    expired: 'Aucun serveur de messagerie ne l’a accepté à temps.',
    service: 'Un service qui examine le courrier chez {host} l’a refusé (traitement OPES).',
    'service-failed':
      'Un service qui doit examiner tout le courrier chez {host} n’a pas fonctionné à temps (traitement OPES).',
    'service-delayed':
      "Un service qui examine le courrier chez {host} l'a fait attendre jusqu'à la fin de son délai (traitement OPES).",
    'cannot-carry': 'Le serveur de messagerie {server} ne peut pas accepter un message de ce type.',
    'no-route': 'Il n’y a pas de serveur de messagerie pour cette adresse.',
    loop: 'Le message a tourné en rond entre des serveurs de messagerie.',
    delayed: 'Aucun serveur de messagerie ne l’a encore accepté. Nous réessayons jusqu’au {until}.',
    delivered: 'Il a été remis.',
    relayed: 'Il a été transmis à {server}, qui n’envoie pas de rapports de ce type.',
    expanded: 'Il a été transmis aux adresses que celle-ci représente.',
  },
  answer: 'La réponse était : {reply}',
  service: 'Le service : {uri}',
  advice: {
    address:
      'Veuillez vérifier l’adresse. Si elle est correcte, prévenez le destinataire par un autre moyen et montrez-lui ce rapport.',
    again: 'Veuillez renvoyer le message plus tard, ou prévenir le destinataire par un autre moyen.',
    ask: 'Si vous pensez que c’est une erreur, écrivez à {contact} en citant l’identifiant ci-dessous.',
    wait: 'Vous n’avez rien à faire. Si le message ne peut pas être remis, nous vous préviendrons.',
  },
  bypass:
    'Vous pouvez demander que votre message soit traité sans ce service (un contournement). Votre demande doit nommer :',
  from: 'Ce rapport a été établi par le système de messagerie {host}.',
  id: 'Identifiant du message :',
  system: 'Ce que nous faisons du courrier :',
  contact: 'Vos questions à :',
};
