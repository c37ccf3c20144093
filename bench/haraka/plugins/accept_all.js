exports.hook_lookup_rdns = (next) => next(OK, 'localhost'); // no DNS in the bench, as smtpd_peername_lookup=no
exports.hook_mail = (next) => next(OK);
exports.hook_rcpt = (next) => next(OK);
