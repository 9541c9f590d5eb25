// Standard output is for the ready line alone; the provider writes its advice for production there. Imported first,
// because some of that is written when the provider is loaded.
console.log = console.info = console.warn = () => {}
