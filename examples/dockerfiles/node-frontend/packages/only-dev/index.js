module.exports = (text) => `<!doctype html>\n${text}\n`;
