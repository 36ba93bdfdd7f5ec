import Foundation
import Testing
import ZooEval
import ZooModels

@Suite struct WeightsAdviceTests {
    /// Several official files are called `model.safetensors`: each model still has a place of its own.
    @Test func adviceNamesAPlaceForEveryModel() throws {
        let places = try Registry.cards.map { card in
            let advice = WeightsResolver().advice(for: card)
            let start = try #require(advice.range(of: "put it at ") ?? advice.range(of: "put a checkpoint at "))
                .upperBound
            return String(advice[start...].prefix { $0 != " " })
        }
        #expect(Set(places).count == places.count)
    }
}
