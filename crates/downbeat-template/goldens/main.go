// Command goldens writes what real Go makes of the template cases.
//
// Run it in this directory with `go run .`; it reads ../tests/data/cases/*.cases and writes a
// .golden file next to each. The Rust tests compare against those and need no Go.
//
// A case file has one template per line. A line starting with "#" is a comment. "== data JSON"
// sets the data for the cases that follow; "== begin" and "== end" enclose a template of several
// lines. A golden file has one JSON object per case: the template, and its output or error.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
)

type golden struct {
	Template string  `json:"template"`
	Output   *string `json:"output,omitempty"`
	Error    *string `json:"error,omitempty"`
}

type testCase struct {
	template string
	data     string
}

// funcs is Sprig without what reads the environment, plus Helm's additions. Where Go's answer
// depends on the clock or on map order, it is pinned.
func funcs(parent **template.Template) template.FuncMap {
	f := sprig.TxtFuncMap()
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(f, name)
	}
	f["now"] = func() time.Time { return time.Unix(1700000000, 0).UTC() }
	f["keys"] = func(dicts ...map[string]interface{}) []string {
		all := []string{}
		for _, dict := range dicts {
			keys := []string{}
			for key := range dict {
				keys = append(keys, key)
			}
			sort.Strings(keys)
			all = append(all, keys...)
		}
		return all
	}
	f["values"] = func(dict map[string]interface{}) []interface{} {
		keys := []string{}
		for key := range dict {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		values := []interface{}{}
		for _, key := range keys {
			values = append(values, dict[key])
		}
		return values
	}
	f["toYaml"] = func(v interface{}) string {
		data, err := yaml.Marshal(v)
		if err != nil {
			return ""
		}
		return strings.TrimSuffix(string(data), "\n")
	}
	f["fromYaml"] = func(str string) map[string]interface{} {
		m := map[string]interface{}{}
		if err := yaml.Unmarshal([]byte(str), &m); err != nil {
			m["Error"] = err.Error()
		}
		return m
	}
	f["required"] = func(warn string, val interface{}) (interface{}, error) {
		if val == nil {
			return val, fmt.Errorf("%s", warn)
		} else if _, ok := val.(string); ok && val == "" {
			return val, fmt.Errorf("%s", warn)
		}
		return val, nil
	}
	f["tpl"] = func(text string, data interface{}) (string, error) {
		clone, err := (*parent).Clone()
		if err != nil {
			return "", err
		}
		t, err := clone.New((*parent).Name()).Parse(text)
		if err != nil {
			return "", fmt.Errorf("cannot parse template %q: %s", text, err)
		}
		var out bytes.Buffer
		if err := t.Execute(&out, data); err != nil {
			return "", fmt.Errorf("error during tpl function execution for %q: %s", text, err)
		}
		return out.String(), nil
	}
	return f
}

// decode keeps integers as int, which is what the Rust side does.
func decode(text string) interface{} {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value interface{}
	if err := decoder.Decode(&value); err != nil {
		log.Fatalf("data %s: %v", text, err)
	}
	return convert(value)
}

func convert(value interface{}) interface{} {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return int(n)
		}
		var u uint64
		if err := json.Unmarshal([]byte(v), &u); err == nil {
			return u
		}
		f, _ := v.Float64()
		return f
	case []interface{}:
		for i := range v {
			v[i] = convert(v[i])
		}
	case map[string]interface{}:
		for k := range v {
			v[k] = convert(v[k])
		}
	}
	return value
}

func run(c testCase) golden {
	result := golden{Template: c.template}
	fail := func(err error) golden {
		text := err.Error()
		result.Error = &text
		return result
	}
	t := template.New("t")
	t = t.Funcs(funcs(&t))
	t, err := t.Parse(c.template)
	if err != nil {
		return fail(err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, decode(c.data)); err != nil {
		return fail(err)
	}
	text := strings.ToValidUTF8(string([]rune(out.String())), "\uFFFD")
	result.Output = &text
	return result
}

func read(path string) []testCase {
	content, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	data := "{}"
	cases := []testCase{}
	var block []string
	inBlock := false
	for _, line := range strings.Split(string(content), "\n") {
		switch {
		case inBlock && line == "== end":
			cases = append(cases, testCase{strings.Join(block, "\n"), data})
			inBlock = false
		case inBlock:
			block = append(block, line)
		case line == "== begin":
			inBlock, block = true, nil
		case strings.HasPrefix(line, "== data "):
			data = strings.TrimPrefix(line, "== data ")
		case line == "" || strings.HasPrefix(line, "#"):
		default:
			cases = append(cases, testCase{line, data})
		}
	}
	return cases
}

func main() {
	os.Setenv("TZ", "UTC")
	time.Local = time.UTC
	paths, err := filepath.Glob("../tests/data/cases/*.cases")
	if err != nil {
		log.Fatal(err)
	}
	total := 0
	for _, path := range paths {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		for _, c := range read(path) {
			if err := encoder.Encode(run(c)); err != nil {
				log.Fatal(err)
			}
			total++
		}
		name := strings.TrimSuffix(path, ".cases") + ".golden"
		if err := os.WriteFile(name, out.Bytes(), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Printf("%d cases\n", total)
}
