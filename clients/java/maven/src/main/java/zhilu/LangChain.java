package zhilu;

import dev.langchain4j.agent.tool.P;
import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.service.TokenStream;
import java.util.concurrent.CompletableFuture;

/** A streamed answer through LangChain4j, whose model may call a method of this program. */
public final class LangChain {
    private LangChain() {}

    interface Assistant {
        TokenStream chat(String question);
    }

    /** What the model may call; LangChain4j makes the schema from the annotations. */
    static final class Weather {
        @Tool("Get the current weather of a city")
        String get_weather(@P("The city") String city) {
            return city + ": sunny, 21 degrees"; // your own service would be asked here
        }
    }

    public static void main(String[] args) {
        OpenAiStreamingChatModel model = OpenAiStreamingChatModel.builder()
                .baseUrl(Settings.URL)
                .apiKey(Settings.KEY)
                .modelName(Settings.MODEL)
                .maxTokens(256)
                .temperature(0.0)
                .build();
        Assistant assistant = AiServices.builder(Assistant.class)
                .streamingChatModel(model)
                .tools(new Weather())
                .build();

        CompletableFuture<Void> finished = new CompletableFuture<>();
        assistant.chat(args.length > 0 ? args[0] : "What is the weather in Paris?")
                .onPartialResponse(System.out::print)
                .onToolExecuted(tool -> System.out.println(tool.request().name() + " = " + tool.result()))
                .onCompleteResponse(reply -> finished.complete(null))
                .onError(finished::completeExceptionally)
                .start();
        finished.join();
        System.out.println();
    }
}
