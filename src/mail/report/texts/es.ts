import type { ReportTexts } from '../texts.ts';

export const es: ReportTexts = {
  subject: {
    failed: 'No se ha podido entregar su mensaje',
    delayed: 'Su mensaje se retrasa',
    success: 'Qué ha sido de su mensaje',
  },
  intro: {
    failed: 'Su mensaje del {date} no se ha podido entregar a:',
    delayed: 'Su mensaje del {date} todavía no ha llegado a:',
    success: 'Esto es lo que ha sido de su mensaje del {date}:',
  },
  more: '... y {count} más; la segunda parte de este informe los nombra a todos.',
  why: {
    refused: 'El servidor de correo {server} lo ha rechazado.',
    expired: 'Ningún servidor de correo lo ha aceptado a tiempo.',
    service: 'Un servicio que examina el correo en {host} lo ha rechazado (tratamiento OPES).',
    'service-failed':
      'Un servicio que debe examinar todo el correo en {host} no ha funcionado a tiempo (tratamiento OPES).',
    'service-delayed':
      'Un servicio que examina el correo en {host} lo hizo esperar hasta que se agotó su plazo (procesamiento OPES).',
    'cannot-carry': 'El servidor de correo {server} no puede aceptar un mensaje de este tipo.',
    'no-route': 'No hay ningún servidor de correo para esta dirección.',
    loop: 'El mensaje ha dado vueltas entre servidores de correo.',
    delayed: 'Ningún servidor de correo lo ha aceptado todavía. Seguiremos intentándolo hasta el {until}.',
    delivered: 'Se ha entregado.',
    relayed: 'Se ha pasado a {server}, que no envía informes de este tipo.',
    expanded: 'Se ha pasado a las direcciones que hay detrás de esta.',
  },
  answer: 'La respuesta fue: {reply}',
  service: 'El servicio: {uri}',
  advice: {
    address:
      'Compruebe la dirección, por favor. Si es correcta, avise al destinatario por otro medio y muéstrele este informe.',
    again: 'Vuelva a enviar el mensaje más tarde, por favor, o avise al destinatario por otro medio.',
    ask: 'Si cree que es un error, escriba a {contact} y cite el identificador de abajo.',
    wait: 'No tiene que hacer nada. Si no se puede entregar, se lo diremos.',
  },
  bypass: 'Puede pedir que su mensaje se trate sin este servicio (una omisión). Su petición debe nombrar:',
  from: 'Este informe lo ha hecho el sistema de correo {host}.',
  id: 'Identificador del mensaje:',
  system: 'Qué hacemos con el correo:',
  contact: 'Preguntas a:',
};
