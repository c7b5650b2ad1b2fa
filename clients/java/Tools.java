// The model asks for a function, this program runs it, the model answers with the result. Nothing but the JDK (17 or newer).
//
//     java Tools.java "What is the weather in Paris?"
//
// ZHILU_URL (http://127.0.0.1:8642/v1), ZHILU_MODEL (zhilu-nano), ZHILU_API_KEY say where and whom to ask.

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

public class Tools {
    static final String URL = System.getenv().getOrDefault("ZHILU_URL", "http://127.0.0.1:8642/v1");
    static final String MODEL = System.getenv().getOrDefault("ZHILU_MODEL", "zhilu-nano");
    static final String KEY = System.getenv().getOrDefault("ZHILU_API_KEY", "");
    static final PrintStream OUT = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
    static final PrintStream ERR = new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
    static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

    // What the model may call. The description is for the model, run() is what really happens.
    static final Object TOOLS = Json.read("""
            [{"type": "function", "function": {
                "name": "get_weather",
                "description": "Get the current weather of a city",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "description": "The city"}},
                    "required": ["city"]}}}]
            """);

    public static void main(String[] args) throws Exception {
        String question = args.length == 0 ? "What is the weather in Paris?"
                : args[0].equals("-") ? new String(System.in.readAllBytes(), StandardCharsets.UTF_8).strip() : args[0];
        List<Object> messages = new ArrayList<>();
        messages.add(Map.of("role", "user", "content", question));
        try {
            // A model may go on asking for tools; this program allows it four rounds.
            for (int round = 0; round < 4; round++) {
                Object message = ask(messages);
                messages.add(message);
                if (Json.get(message, "content") instanceof String text && !text.isEmpty()) OUT.println(text);
                if (!(Json.get(message, "tool_calls") instanceof List<?> calls) || calls.isEmpty()) break;
                for (Object call : calls) {
                    String name = (String) Json.get(call, "function", "name");
                    String arguments = (String) Json.get(call, "function", "arguments");
                    String result = Json.write(run(name, arguments));
                    OUT.println(name + "(" + arguments + ") = " + result);
                    mend(call);
                    messages.add(Map.of("role", "tool", "tool_call_id", String.valueOf(Json.get(call, "id")), "content", result));
                }
            }
        } catch (ConnectException e) {
            ERR.println("Nothing answers at " + URL + ". Start it with: zhilu up");
            System.exit(1);
        } catch (IOException e) {
            ERR.println(e.getMessage());
            System.exit(1);
        }
    }

    /** Runs one call. It is what a model wrote: it may name no function of ours, and its arguments may be no JSON at all. */
    static Map<String, Object> run(String name, String arguments) {
        if (!"get_weather".equals(name)) return Map.of("error", "no function " + name);
        try {
            if (!(Json.get(Json.read(arguments), "city") instanceof String city)) return Map.of("error", "city is missing");
            return Map.of("city", city, "weather", "sunny", "temperature", 21); // your own service would be asked here
        } catch (IllegalArgumentException e) {
            return Map.of("error", e.getMessage());
        }
    }

    /** A server may refuse a history with broken arguments, the model's own ones too: those become empty. */
    @SuppressWarnings("unchecked")
    static void mend(Object call) {
        Map<String, Object> function = (Map<String, Object>) Json.get(call, "function");
        try {
            Json.read((String) function.get("arguments"));
        } catch (IllegalArgumentException notJson) {
            function.put("arguments", "{}");
        }
    }

    /** One whole reply: the assistant's message, with its tool calls if it made any. IOException says why there is none. */
    static Object ask(List<Object> messages) throws IOException, InterruptedException {
        String body = Json.write(Map.of(
                "model", MODEL, "messages", messages, "tools", TOOLS, "max_tokens", 256, "temperature", 0));
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(URL + "/chat/completions"))
                .header("Content-Type", "application/json")
                .timeout(Duration.ofMinutes(5))
                .POST(HttpRequest.BodyPublishers.ofString(body));
        if (!KEY.isEmpty()) request.header("Authorization", "Bearer " + KEY);
        HttpResponse<String> reply = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (reply.statusCode() != 200) throw new IOException("HTTP " + reply.statusCode() + ": " + reasonIn(reply.body()));
        Object choice = Json.get(Json.read(reply.body()), "choices", 0);
        Object message = Json.get(choice, "message"), reason = Json.get(choice, "finish_reason");
        int numCalls = Json.get(message, "tool_calls") instanceof List<?> calls ? calls.size() : 0;
        String id = reply.headers().firstValue("x-request-id").orElse("-");
        ERR.println("[" + numCalls + " tool calls, ended by " + reason + ", request " + id + "]");
        // Cut off at max_tokens: half a call is not to be run.
        if ("length".equals(reason) && message instanceof Map<?, ?> map) map.remove("tool_calls");
        return message;
    }

    /** The message of an OpenAI-shaped error, or the text itself where it is none. */
    static String reasonIn(String text) {
        try {
            return Json.get(Json.read(text), "error", "message") instanceof String message ? message : text;
        } catch (IllegalArgumentException notJson) {
            return text;
        }
    }

    // ---- JSON, just enough: read into Map, List, String, Long, Double, Boolean or null; write the same. RFC 8259.

    /** Reads one JSON text. Throws IllegalArgumentException with the place where it is not JSON. */
    static final class Json {
        private final String text;
        private int at;

        private Json(String text) {
            this.text = text;
        }

        static Object read(String text) {
            Json json = new Json(text);
            Object value = json.value(0);
            json.space();
            if (json.at != text.length()) throw json.wrong();
            return value;
        }

        /** Walks down: a String is a key of an object, an Integer an index of a list. Null where nothing is there. */
        static Object get(Object value, Object... path) {
            for (Object step : path) {
                if (step instanceof String && value instanceof Map<?, ?> map) value = map.get(step);
                else if (step instanceof Integer i && value instanceof List<?> list && i < list.size()) value = list.get(i);
                else return null;
            }
            return value;
        }

        static String write(Object value) {
            if (value instanceof Map<?, ?> map) {
                return map.entrySet().stream().map(e -> write(e.getKey()) + ":" + write(e.getValue()))
                        .collect(Collectors.joining(",", "{", "}"));
            }
            if (value instanceof List<?> list) {
                return list.stream().map(Json::write).collect(Collectors.joining(",", "[", "]"));
            }
            if (!(value instanceof String string)) return String.valueOf(value);
            StringBuilder out = new StringBuilder("\"");
            for (char c : string.toCharArray()) {
                if (c == '"' || c == '\\') out.append('\\').append(c);
                else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
                else out.append(c);
            }
            return out.append('"').toString();
        }

        private Object value(int depth) {
            if (depth > 200) throw wrong();
            space();
            char c = peek();
            if (c == '"') return string();
            if (c == '{') {
                Map<String, Object> map = new LinkedHashMap<>();
                for (at++; !closes('}', map.isEmpty()); ) {
                    space();
                    String key = string();
                    space();
                    expect(':');
                    map.put(key, value(depth + 1));
                }
                return map;
            }
            if (c == '[') {
                List<Object> list = new ArrayList<>();
                for (at++; !closes(']', list.isEmpty()); ) list.add(value(depth + 1));
                return list;
            }
            int start = at;
            while (at < text.length() && "+-.0123456789aeflnrstuE".indexOf(text.charAt(at)) >= 0) at++;
            String word = text.substring(start, at);
            switch (word) {
                case "true": return true;
                case "false": return false;
                case "null": return null;
                default:
                    if (!word.matches("-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?")) throw wrong();
                    if (word.matches("-?\\d{1,18}")) return Long.valueOf(word);
                    return Double.valueOf(word);
            }
        }

        /** True at the closing mark; otherwise past the comma that must stand between two members. */
        private boolean closes(char mark, boolean first) {
            space();
            if (peek() == mark) {
                at++;
                return true;
            }
            if (!first) expect(',');
            return false;
        }

        private String string() {
            expect('"');
            StringBuilder out = new StringBuilder();
            while (peek() != '"') {
                char c = text.charAt(at++);
                if (c < ' ') throw wrong();
                if (c == '\\') {
                    c = peek();
                    at++;
                    int plain = "\"\\/".indexOf(c), control = "bfnrt".indexOf(c);
                    if (control >= 0) c = "\b\f\n\r\t".charAt(control);
                    else if (c == 'u') c = hex();
                    else if (plain < 0) throw wrong();
                }
                out.append(c);
            }
            at++;
            return out.toString();
        }

        private char hex() {
            String digits = text.substring(at, Math.min(at + 4, text.length()));
            if (!digits.matches("[0-9a-fA-F]{4}")) throw wrong();
            at += 4;
            return (char) Integer.parseInt(digits, 16);
        }

        private char peek() {
            if (at >= text.length()) throw wrong();
            return text.charAt(at);
        }

        private void expect(char c) {
            if (peek() != c) throw wrong();
            at++;
        }

        private void space() {
            while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
        }

        private IllegalArgumentException wrong() {
            return new IllegalArgumentException("not JSON at character " + at + ": " + text);
        }
    }
}
