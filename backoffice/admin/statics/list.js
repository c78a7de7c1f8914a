// What does a list do by itself? It leaves empty fields out of the address, and shows
// another number of rows as soon as one is chosen.

for (const form of document.querySelectorAll("form[data-tidy]")) {
  form.addEventListener("formdata", ({ formData }) => {
    for (const [name, value] of [...formData]) {
      if (value !== "") continue;
      const kept = formData.getAll(name).filter((each) => each !== "");
      formData.delete(name);
      for (const each of kept) formData.append(name, each);
    }
  });
}

for (const select of document.querySelectorAll("select[data-submit]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
