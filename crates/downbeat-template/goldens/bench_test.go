package main

import (
	"bytes"
	"os"
	"testing"
	"text/template"
)

func setup(b *testing.B) (string, interface{}) {
	text, err := os.ReadFile("../benches/manifest.tmpl")
	if err != nil {
		b.Fatal(err)
	}
	data, err := os.ReadFile("../benches/manifest.json")
	if err != nil {
		b.Fatal(err)
	}
	return string(text), decode(string(data))
}

func BenchmarkParse(b *testing.B) {
	text, _ := setup(b)
	var parent *template.Template
	base := template.New("base").Funcs(funcs(&parent))
	for b.Loop() {
		clone, err := base.Clone()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := clone.New("manifest").Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExecute(b *testing.B) {
	text, data := setup(b)
	var parent *template.Template
	t := template.Must(template.New("manifest").Funcs(funcs(&parent)).Parse(text))
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		if err := t.Execute(&out, data); err != nil {
			b.Fatal(err)
		}
	}
}
